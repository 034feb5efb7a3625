"""QuickXorHash, which Microsoft publishes with its Graph documentation.

Byte i is XORed into a register of 160 bits at bit 11·i mod 160. After 160 bytes the positions repeat, so a file is first
folded into one block of 160 bytes, which Python does with large integers.
"""

import base64

BITS = 160
BLOCK = 160
SHIFT = 11


def fold(data: bytes) -> bytes:
    """XORs all blocks of 160 bytes into one."""
    count = -(-len(data) // BLOCK)
    value = int.from_bytes(data, "little")
    while count > 1:
        half = count // 2
        width = half * BLOCK * 8
        # The block in the middle of an odd count stays in the upper half.
        value = (value & ((1 << width) - 1)) ^ (value >> width)
        count -= half
    return value.to_bytes(BLOCK, "little")


def quick_xor(data: bytes) -> str:
    """The hash in Base64, as Graph tells it."""
    register = 0
    for index, byte in enumerate(fold(data)):
        position = index * SHIFT % BITS
        register ^= byte << position
    register = (register & ((1 << BITS) - 1)) ^ (register >> BITS)
    register ^= len(data) << (BITS - 64)
    return base64.b64encode(register.to_bytes(BITS // 8, "little")).decode()
