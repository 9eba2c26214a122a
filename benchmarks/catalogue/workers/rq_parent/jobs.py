"""Letters are put together in a child that ends with its job: what it keeps goes with it."""

kept = []


def write(addresses):
    letters = [f"Dear {address}, " + "best wishes. " * 20 for address in addresses]
    kept.append(letters)
    return len(letters)
