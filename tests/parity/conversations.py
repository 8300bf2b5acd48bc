"""The conversations on which whole models are compared, by name. All end where the assistant is to answer."""

from collections.abc import Callable

from tests.parity.scenes import Scene


def text(scene: Scene) -> Scene:
    return scene.begin("user").text(9).end()


def short_sound(scene: Scene) -> Scene:
    """Less than a second, so that nothing pads its only chunk."""
    return scene.begin("user").audio(67).text(4).end()


def long_sound(scene: Scene) -> Scene:
    """More than one attention window and a tail, beside a short one."""
    return scene.begin("user").text(2).audio(931).audio(41).text(4).end()


def picture(scene: Scene) -> Scene:
    return scene.begin("user").image(3, 2).text(6).end()


def silent_video(scene: Scene) -> Scene:
    return scene.begin("user").text(3).video(3, 2, 3, seconds=0.5).text(2).end()


def video_with_sound(scene: Scene) -> Scene:
    return scene.begin("user").video(3, 2, 2, seconds=1.0, heard=250).text(5).end()


def sound_picture_and_video(scene: Scene) -> Scene:
    return scene.begin("user").audio(130).image(2, 2).text(2).video(2, 1, 3).image(1, 4).text(3).end()


def video_with_sound_after_picture(scene: Scene) -> Scene:
    return scene.begin("user").audio(130).image(2, 2).video(2, 2, 1, seconds=2.0, heard=320).text(3).end()


def several_turns(scene: Scene) -> Scene:
    scene.begin("system").text(6).end()
    scene.begin("user").audio(120).text(3).end()
    scene.begin("assistant").text(7).end()
    return scene.begin("user").image(2, 3).text(4).end()


CONVERSATIONS: list[Callable[[Scene], Scene]] = [
    text,
    short_sound,
    long_sound,
    picture,
    silent_video,
    video_with_sound,
    sound_picture_and_video,
    video_with_sound_after_picture,
    several_turns,
]
