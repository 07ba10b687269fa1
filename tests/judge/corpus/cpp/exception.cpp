#include <iostream>
#include <vector>

int main() {
    int a, b;
    std::vector<int> sums;
    while (std::cin >> a >> b) std::cout << sums.at(3) + a + b << "\n";
}
