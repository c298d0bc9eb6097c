"""One package per outside thing; an adapter translates and holds no opinion, and knows no other adapter."""
