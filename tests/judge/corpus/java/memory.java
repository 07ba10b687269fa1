import java.util.ArrayList;
import java.util.List;

class Main {
    public static void main(String[] arguments) {
        List<byte[]> kept = new ArrayList<>();
        for (;;) kept.add(new byte[1024 * 1024]);
    }
}
