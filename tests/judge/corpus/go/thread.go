package main

import "fmt"

func add(sums chan int) {
	panic("no sum")
}

func main() {
	sums := make(chan int)
	go add(sums)
	fmt.Println(<-sums)
}
