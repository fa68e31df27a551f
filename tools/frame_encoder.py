"""Pictures to features by a vision model of Hugging Face's, for extract_features.py: one of three
families, told by the `model_type` of its config.json.
"""
import os

from extraction_folder import UsageError, say

# The model types of a family, and what is a frame's vector.
FAMILIES = {
    "CLIP": (("clip", "clip_vision_model"), "the projected embedding (image_embeds)"),
    "SigLIP": (("siglip", "siglip_vision_model"), "the attention-pooled vector (pooler_output)"),
    "DINOv2": (("dinov2", "dinov2_with_registers"),
               "the class token behind the last norm (pooler_output)"),
}


def families_text():
    return "; ".join(f"of {name} {vector}" for name, (_, vector) in FAMILIES.items())


def family_of(name):
    from transformers import AutoConfig
    kind = AutoConfig.from_pretrained(name).model_type
    for family, (kinds, _) in FAMILIES.items():
        if kind in kinds:
            return family
    raise ValueError(f"its model_type is {kind!r}, expected one of "
                     + ", ".join(kind for kinds, _ in FAMILIES.values() for kind in kinds))


def load(name):
    """The model, its processor of pictures, and the name of the output that is taken."""
    import transformers
    family = family_of(name)
    if family == "CLIP":
        try:  # CLIP's own resizing is Pillow's; since transformers 5 the old name may mean another
            from transformers import CLIPImageProcessorPil as CLIPImageProcessor
        except ImportError:
            from transformers import CLIPImageProcessor
        return (transformers.CLIPVisionModelWithProjection.from_pretrained(name),
                CLIPImageProcessor.from_pretrained(name), "image_embeds")
    of_family = {"SigLIP": "SiglipVisionModel", "DINOv2": "AutoModel"}[family]
    return (getattr(transformers, of_family).from_pretrained(name),
            transformers.AutoImageProcessor.from_pretrained(name, use_fast=False), "pooler_output")


class FrameEncoder:
    """The image side of a model."""

    def __init__(self, name, device, batch):
        # The text side of a checkpoint is left out on purpose, which transformers warns about.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        try:
            import av  # noqa: F401 (used by extract_features: missing, it should be said before)
            import torch
            import transformers  # noqa: F401
        except ImportError as error:
            raise UsageError(f"{error}; pip install torch transformers pillow av") from error
        self.torch = torch
        self.batch = batch  # images at a time
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            self.type = torch.float16 if self.device.type == "cuda" else torch.float32
            model, self.processor, self.output = load(name)
            self.model = model.eval().to(self.device, self.type)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"--model {name} --device {device}: {error}") from error

    def __call__(self, images):
        """Images to an array [images, width] of half."""
        pixels = self.processor(images=images, return_tensors="pt").pixel_values
        with self.torch.inference_mode():
            output = self.model(pixel_values=pixels.to(self.device, self.type))
        return getattr(output, self.output).half().cpu()

    def fitting(self, images):
        """Arrays of images in their order, in smaller batches from now on where memory runs out."""
        parts, done = [], 0
        while done < len(images):
            try:
                parts.append(self(images[done:done + self.batch]))
            except RuntimeError as error:
                if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
                    raise
                if self.batch == 1:
                    raise UsageError(f"{self.device} has no memory for a single picture: end what "
                                     "else runs there, or take another --device") from error
            else:
                done += len(parts[-1])
                continue
            # Here and not above: the error holds on to what it could not finish.
            self.batch = max(1, self.batch // 2)
            say(f"{self.device} has no memory for so many pictures at a time: going on with "
                f"--batch {self.batch}")
            if self.device.type == "cuda":
                self.torch.cuda.empty_cache()
        return parts

    def features(self, pictures):
        """Pictures of a video to an array [pictures, width], in batches."""
        parts, images = [], []
        for picture in pictures:
            images.append(picture)
            if len(images) == self.batch:
                parts += self.fitting(images)
                images = []
        if images:
            parts += self.fitting(images)
        features = self.torch.cat(parts)
        if not self.torch.isfinite(features).all():
            raise ValueError("its features are not finite")
        return features.numpy()
