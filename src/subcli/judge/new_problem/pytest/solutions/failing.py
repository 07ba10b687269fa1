def double(number):
    return 2 * abs(number)
