package main

func main() {
	a := 0
	for {
		a++
	}
}
