"""http://pages.localhost:8080/sleep : five packets, one second apart."""

import time


def request_handler(request_details):
    connection = request_details.connection
    connection.send(connection.make_response(200, {"Content-Type": "text/plain; charset=utf-8"}, ""))
    for number in range(1, 6):
        connection.send("packet %d of 5, at %s\n" % (number, time.strftime("%H:%M:%S")))
        if number < 5:
            time.sleep(1)
    connection.close()
