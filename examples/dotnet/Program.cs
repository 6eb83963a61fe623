// A web server that listens where the Procfile says.
var app = WebApplication.Create(args);
app.MapGet("/", () => $"Hello from .NET {Environment.Version}\n");
app.Run();
