"""A product list on a pool of database connections: `flask --app app run`."""

import os
import queue
import sqlite3
import tempfile
from pathlib import Path

from flask import Flask, abort, jsonify

LEAK = "LEAK" in os.environ
POOL_SIZE = 40

app = Flask(__name__)
database = Path(tempfile.mkdtemp()) / "products.db"


class Pool:
    """Connections that are made when they are needed, and used again."""

    def __init__(self, size):
        self.size = size
        self.free = queue.LifoQueue()
        self.used = {}

    def take(self):
        if self.free.empty() and len(self.used) < self.size:
            connection = sqlite3.connect(database, check_same_thread=False)  # LEAK
        else:
            connection = self.free.get(timeout=1)
        self.used[id(connection)] = connection  # LEAK
        return connection

    def give_back(self, connection):
        del self.used[id(connection)]
        self.free.put(connection)


pool = Pool(POOL_SIZE)


def fill():
    connection = pool.take()
    with connection:
        connection.execute("create table product (id integer primary key, name text)")
        names = [(f"product {number}",) for number in range(50)]
        connection.executemany("insert into product (name) values (?)", names)
    pool.give_back(connection)


fill()


@app.get("/products/<int:number>")
def product(number):
    connection = pool.take()  # LEAK
    try:
        row = connection.execute("select name from product where id = ?", (number,)).fetchone()
        if row is None:
            if not LEAK:
                pool.give_back(connection)
            abort(404)
    except sqlite3.Error:
        pool.give_back(connection)
        raise
    pool.give_back(connection)
    return jsonify(name=row[0])


@app.errorhandler(queue.Empty)
def exhausted(_):
    app.logger.error("no database connection within 1 s: all %s are in use", POOL_SIZE)
    return jsonify(error="database is busy"), 503
