package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var a, b int
	for {
		if n, _ := fmt.Scan(&a, &b); n != 2 {
			return
		}
		fmt.Fprintln(out, a+b)
	}
}
