require "rails"
require "active_record/railtie"
require "action_controller/railtie"

module Guestbook
  class Application < Rails::Application
    config.load_defaults 6.1
    config.root = File.expand_path("..", __dir__)
    config.eager_load = Rails.env.production?
    config.hosts = ENV.fetch("NGINX_SERVER_NAME", "").split(",")
    config.logger = ActiveSupport::Logger.new($stdout) # for `piku logs`
    config.log_level = :info
    config.colorize_logging = false
    config.active_record.dump_schema_after_migration = false # a release's code is not written to
    # Made once and kept with the data. To use your own: piku config:set APP SECRET_KEY_BASE=...
    config.secret_key_base = ENV.fetch("SECRET_KEY_BASE") do
      file = File.join(ENV.fetch("DATA_ROOT", config.root), "secret_key")
      File.write(file, SecureRandom.hex(64), perm: 0o600) unless File.exist?(file)
      File.read(file)
    end
  end
end
