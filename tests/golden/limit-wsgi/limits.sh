groups=ROOT/uwsgi/cgroups
group=app-shop@1
folder=ROOT/releases/shop/activations/1
memory=268435456
memory_said=256M
processor=''
processor_said=''
tasks=''
