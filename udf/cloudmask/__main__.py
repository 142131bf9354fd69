"""`python -m cloudmask` is `cloudmask`."""

from cloudmask.local.cli import main

main()
