package hello;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import org.apache.commons.codec.digest.DigestUtils;

/** A web server that listens where Piku tells it to. */
public final class Main {
    static final String GREETING = "Hello from Maven";

    public static void main(String[] args) throws IOException {
        String host = System.getenv().getOrDefault("BIND_ADDRESS", "127.0.0.1");
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(host, port), 128);
        server.createContext("/", exchange -> {
            byte[] body = page().getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().add("Content-Type", "text/plain; charset=utf-8");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        // SIGTERM: answer open requests, for at most a second.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(1)));
        server.start();
    }

    static String page() {
        return GREETING + ", release " + System.getenv("PIKU_RELEASE") + ", " + DigestUtils.sha1Hex("piku") + "\n";
    }
}
