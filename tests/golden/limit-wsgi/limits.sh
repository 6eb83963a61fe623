group=app-shop@1
memory=268435456
cpu=''
pids=''
groups=ROOT/uwsgi/cgroup
folder=ROOT/releases/shop/starts/1
memory_said=256M
cpu_said=''
