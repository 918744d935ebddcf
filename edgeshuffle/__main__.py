from edgeshuffle.cli import main

main()
