"""The 36 rows of the tiles journal (2023-11-16), with the stars that it printed."""

ROWS = """
mnist,0,20,0.0003,0.0274497,7
fmnist,0,20,0.0003,0.0482327,18
rpg,0,20,0.0003,0.052915,20
mnist,-,28,0.0003,0.0351929,11
fmnist,-,28,0.0003,0.0534702,21
rpg,0,28,0.0003,0.0514313,19
mnist,0,32,0.0003,0.0333494,10
fmnist,0,32,0.0003,0.0495315,18
rpg,-,32,0.0003,0.0532157,20
mnist,1,20,0.0003,0.0193185,2
fmnist,1,20,0.0003,0.0337913,10
rpg,1,20,0.0003,0.0337807,10
mnist,-,28,0.0003,0.0357742,11
fmnist,-,28,0.0003,0.0528828,20
rpg,1,28,0.0003,0.0369611,12
mnist,1,32,0.0003,0.0246818,5
fmnist,1,32,0.0003,0.0380947,12
rpg,-,32,0.0003,0.0533928,20
mnist,0,20,0.001,0.0221466,4
fmnist,0,20,0.001,0.0421959,15
rpg,0,20,0.001,0.0454093,16
mnist,-,28,0.001,0.0326754,9
fmnist,-,28,0.001,0.0491466,18
rpg,0,28,0.001,0.0472919,17
mnist,0,32,0.001,0.0300777,8
fmnist,0,32,0.001,0.0459637,17
rpg,-,32,0.001,0.0485321,18
mnist,1,20,0.001,0.0157305,1
fmnist,1,20,0.001,0.0278209,7
rpg,1,20,0.001,0.0281536,7
mnist,-,28,0.001,0.0321101,9
fmnist,-,28,0.001,0.0492271,18
rpg,1,28,0.001,0.0349186,11
mnist,1,32,0.001,0.0221171,4
fmnist,1,32,0.001,0.0357977,11
rpg,-,32,0.001,0.0489479,18
"""


def read() -> list[tuple[dict, float, int]]:
    """(axes, loss, stars) of each row; the axis `aa` is absent where nothing was resized."""
    found = []
    for line in ROWS.split():
        ds, aa, res, lr, loss, stars = line.split(",")
        axes = {"ds": ds} | ({} if aa == "-" else {"aa": aa == "1"})
        found.append((axes | {"res": int(res), "lr": float(lr)}, float(loss), int(stars)))
    return found
