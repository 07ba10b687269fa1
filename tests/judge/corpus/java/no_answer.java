class Main {
    public static void main(String[] arguments) throws Exception {
        System.in.read();
    }
}
