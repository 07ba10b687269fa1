#include <iostream>
#include <string>

int main() {
    int a, b;
    std::string sum = 5 + a;
    while (std::cin >> a >> b) std::cout << a + b << "\n";
}
