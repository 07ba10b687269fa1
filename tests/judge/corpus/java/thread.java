class Main {
    static int sum;

    static void add() {
        throw new IllegalStateException("no sum");
    }

    public static void main(String[] arguments) throws Exception {
        Thread worker = new Thread(Main::add);
        worker.start();
        worker.join();
    }
}
