groups=ROOT/uwsgi/cgroups
group=app-shop@1
folder=ROOT/releases/shop/activations/1
memory=1610612736
memory_said=1.5G
processor=150000
processor_said=150%
tasks=200
