from famulus.cli import main

main()
