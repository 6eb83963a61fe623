group=app-shop@1
memory=1610612736
cpu=150000
pids=200
groups=ROOT/uwsgi/cgroup
folder=ROOT/releases/shop/starts/1
memory_said=1.5G
cpu_said=150%
