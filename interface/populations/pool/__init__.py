"""Data sets as populations: `Pool`, the kernel that makes its draws unlimited, and readers of files that make one."""

from interface.populations.pool._base import Pool as Pool
from interface.populations.pool.digits import digits as digits
from interface.populations.pool.image_kernel import ImageKernel as ImageKernel
from interface.populations.pool.read_arrow import read_arrow as read_arrow
from interface.populations.pool.read_idx import read_idx as read_idx
from interface.populations.pool.read_images import read_images as read_images
from interface.populations.pool.read_npz import read_npz as read_npz
from interface.populations.pool.read_texts import read_texts as read_texts
