# The smallest Rack app: an object with a method `call`.
GREETING = "Hello from Ruby"

run ->(_env) {
  [200, {"Content-Type" => "text/plain"}, ["#{GREETING} with Rack #{Rack.release}, release #{ENV["PIKU_RELEASE"]}\n"]]
}
