"""`python -m console` is the command `xisuan`."""

from console.entry import main

main()
