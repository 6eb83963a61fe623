package hello;

import java.util.HashMap;
import org.apache.commons.codec.digest.DigestUtils;

/** What uWSGI's `jwsgi` calls: a request's variables in; status, headers and body out. */
public final class App {
    static final String GREETING = "Hello from Gradle";

    public static Object[] answer(HashMap<String, Object> request) {
        HashMap<String, String> headers = new HashMap<>();
        headers.put("Content-Type", "text/plain; charset=utf-8");
        return new Object[] {200, headers, page()};
    }

    static String page() {
        return GREETING + ", release " + System.getenv("PIKU_RELEASE") + ", " + DigestUtils.sha1Hex("piku") + "\n";
    }
}
