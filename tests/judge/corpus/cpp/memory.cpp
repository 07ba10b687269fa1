#include <iostream>
#include <vector>

int main() {
    std::vector<std::vector<int>> kept;
    for (;;) kept.emplace_back(1024 * 1024, 1);
}
