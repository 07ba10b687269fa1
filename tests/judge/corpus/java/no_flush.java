import java.io.PrintWriter;
import java.util.Scanner;

class Main {
    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in);
        PrintWriter out = new PrintWriter(System.out);
        while (in.hasNextInt()) out.println(in.nextInt() + in.nextInt());
        out.flush();
    }
}
