"""What those who know Heroku or Dokku try first."""

ELSEWHERE = {
    "apps:destroy": "it is called 'destroy'",
    "apps:list": "it is called 'apps'",
    "config:add": "it is called 'config:set'",
    "config:show": "it is called 'config'",
    "create": "the first push makes an app, and so does apps:create",
    "domains:add": "host names are a setting: config:set APP NGINX_SERVER_NAME=…",
    "enter": "it is called 'run'",
    "letsencrypt:enable": "certificates are automatic",
    "ps:exec": "it is called 'run'",
    "ps:restart": "it is called 'restart'",
}
