"""Where a network rests without noise: fixed and slow points, what attracts, and what is exact.

`find_fixed_points` is the analysis. Its parts: `descent` on the speed from many starts, `rest`,
where they go by themselves, `search`, both on a device, `find`, what is found, and `regions`, the
exact fixed points of relu networks.
"""
