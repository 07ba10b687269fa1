import java.util.Scanner;

class Main {
    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in);
        while (in.hasNextInt()) {
            int a = in.nextInt(), b = in.nextInt();
            System.err.println("adding " + a + " " + b);
            System.out.println(a - b);
        }
    }
}
