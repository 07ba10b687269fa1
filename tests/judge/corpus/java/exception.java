import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;

class Main {
    static int add(List<Integer> words) {
        return words.get(0) + words.get(2);
    }

    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in);
        List<Integer> words = new ArrayList<>();
        while (in.hasNextInt()) {
            words.add(in.nextInt());
            words.add(in.nextInt());
            System.out.println(add(words));
        }
    }
}
