class Main {
    public static void main(String[] arguments) {
        Runtime.getRuntime().halt(134);
    }
}
