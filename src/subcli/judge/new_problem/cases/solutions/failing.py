input()
largest = 0
for number in map(int, input().split()):
    largest = max(largest, number)
print(largest)
