package main

import (
	"fmt"
	"os"
)

func main() {
	var a, b int
	for {
		if n, _ := fmt.Scan(&a, &b); n != 2 {
			return
		}
		fmt.Fprintln(os.Stderr, "adding", a, b)
		fmt.Println(a - b)
	}
}
