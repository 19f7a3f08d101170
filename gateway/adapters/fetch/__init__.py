"""Pictures by http(s) link: fetched from public addresses alone, within limits."""

from gateway.adapters.fetch.fetcher import PictureFetcher

__all__ = ["PictureFetcher"]
