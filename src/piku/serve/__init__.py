"""What serves: nginx, the uWSGI emperor, certificates, ports."""
