number = int(input())
print(number * abs(number))
