package receiver;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/** Shows requests to the code for Java: reads a case a line, and answers for each whether its code takes it. */
public final class Receiver {
    /** The second since 1970 that it is. */
    public static long now;

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            // The code's number, the second that it is, the body, and the headers.
            String[] words = line.split(" ");
            now = Long.parseLong(words[1]);
            Map<String, String> headers = new HashMap<>();
            for (int i = 3; i < words.length; i++) {
                String[] parts = words[i].split(":", 2);
                headers.put(parts[0], new String(Base64.getDecoder().decode(parts[1]), StandardCharsets.UTF_8));
            }
            Function<String, String> header = headers::get;
            Class<?> code = Class.forName("of_" + words[0] + ".Webhook");
            byte[] body = Base64.getDecoder().decode(words[2]);
            System.out.println(code.getMethod("verify", Function.class, byte[].class).invoke(null, header, body));
        }
    }
}
