"""diffusers' LMS scheduler without its need for scipy."""

from diffusers.schedulers.scheduling_lms_discrete import LMSDiscreteScheduler

# Gauss-Legendre with two points integrates polynomials up to degree 3 exactly, and LMS of order 4 has degree 3.
_NODE = 3.0**-0.5


class ExactLmsScheduler(LMSDiscreteScheduler):  # type: ignore[misc]
    """LMS whose coefficients are integrated exactly; diffusers asks scipy for the same number to 1e-4."""

    def get_lms_coefficient(self, order: int, t: int, current_order: int) -> float:
        """The integral over [sigma_t, sigma_t+1] of the Lagrange basis polynomial `current_order` of `order` points."""
        points = [float(self.sigmas[t - k]) for k in range(order)]
        own = points[current_order]
        others = points[:current_order] + points[current_order + 1 :]

        def basis(sigma: float) -> float:
            product = 1.0
            for other in others:
                product *= (sigma - other) / (own - other)
            return product

        start, end = float(self.sigmas[t]), float(self.sigmas[t + 1])
        middle, half = (start + end) / 2, (end - start) / 2
        return half * (basis(middle - half * _NODE) + basis(middle + half * _NODE))
