package main

import "fmt"

func add(words []int) int {
	return words[0] + words[2]
}

func main() {
	var a, b int
	for {
		if n, _ := fmt.Scan(&a, &b); n != 2 {
			return
		}
		fmt.Println(add([]int{a, b}))
	}
}
