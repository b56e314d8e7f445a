"""digits: scikit-learn's handwritten digits under random changes of pose, as a population without end."""

from __future__ import annotations

from interface.populations.pool._base import Pool
from interface.populations.pool.image_kernel import ImageKernel

LEVELS = 16  # of ink in a pixel


def digits(kernel: ImageKernel = ImageKernel()) -> Pool:
    """The 1797 images of 8 x 8 pixels, ink in [0, 1], under a kernel; labels 0..9. Conclusions are conditional on the pool.

    All parts of an analysis share the base images, of 13 writers: an encoder can memorise them, and a low loss here says
    nothing about a fourteenth writer.

    Args:
        kernel: what perturbs a base image at each draw.

    Source: test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, CC BY 4.0), as
        shipped by scikit-learn.

    Example:
        >>> pool = digits()
        >>> pool.size, pool.shape, pool.n_classes, pool.finite
        (1797, (8, 8), 10, False)
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Pool((x / LEVELS).astype("float32"), y.astype("int64"), name="digits", kernel=kernel)
