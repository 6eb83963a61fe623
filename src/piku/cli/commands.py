"""The core's commands; those of extras and plugins come beside them."""

# "module:function" of each, in the order of the help.
COMMANDS = {
    "apps": "piku.cli.main:apps",
    "deploy": "piku.cli.apps:deploy",
    "releases": "piku.cli.apps:list_releases",
    "rollback": "piku.cli.apps:rollback",
    "destroy": "piku.cli.apps:destroy",
    "config": "piku.cli.config:config",
    "config:get": "piku.cli.config:config_get",
    "config:set": "piku.cli.config:config_set",
    "config:unset": "piku.cli.config:config_unset",
    "config:live": "piku.cli.config:config_live",
    "ps": "piku.cli.processes:ps",
    "ps:scale": "piku.cli.apps:ps_scale",
    "restart": "piku.cli.apps:restart",
    "stop": "piku.cli.apps:stop",
    "logs": "piku.cli.processes:logs",
    "run": "piku.cli.processes:run",
    "setup": "piku.cli.server:setup",
    "setup:ssh": "piku.cli.server:setup_ssh",
    "up": "piku.cli.server:up",
    "help": "piku.cli.main:help_",
    "git-receive-pack": "piku.cli.server:git_receive_pack",
    "git-upload-pack": "piku.cli.server:git_upload_pack",
    "git-hook": "piku.cli.server:git_hook",
    "scp": "piku.cli.server:scp",
    "housekeeping": "piku.cli.server:housekeeping",
    "serve:nginx": "piku.cli.server:serve_nginx",
    "serve:emperor": "piku.cli.server:serve_emperor",
}
# commands to which extras add flags
EXTENSIBLE = (
    "deploy",
    "run",
    "config:set",
    "config:unset",
    "ps:scale",
    "restart",
    "rollback",
    "stop",
)
LOOKS = ("apps", "help", "logs", "ps", "releases")  # they change nothing, and show no secret
