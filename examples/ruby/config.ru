# The smallest Rack app: a thing that answers to `call`.
GREETING = "Hello from Ruby"

run ->(_env) {
  [200, {"Content-Type" => "text/plain"}, ["#{GREETING} with Rack #{Rack.release}, release #{ENV["PIKU_RELEASE"]}\n"]]
}
