class Main {
    static volatile int a;

    public static void main(String[] arguments) {
        for (;;) a++;
    }
}
