package main

import "fmt"

func main() {
	var a, b int
	for {
		if n, _ := fmt.Scan(&a, &b); n != 2 {
			return
		}
		fmt.Println(a + b)
	}
}
